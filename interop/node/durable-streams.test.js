// The public conformance suite of the Durable Streams protocol, against the server that PEAL_STREAMS_URL names. The suite's
// own program does not find its file where npm puts it, so this is one of ours.
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

const baseUrl = process.env.PEAL_STREAMS_URL;
if (!baseUrl) throw new Error("PEAL_STREAMS_URL is not set");
runConformanceTests({ baseUrl });
