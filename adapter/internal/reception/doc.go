// Package reception is the receiving side of a driver: what all drivers do with what their broker sends, whatever that is.
//
// A [Monitor], one for each driver, counts what comes, and what may not have come: the gaps. An [Inbox], one for each
// namespace, keeps what waits to be handled, in order and bounded, so that namespaces do not wait for each other. [Answers]
// do the same for answers to calls, for which messages do not wait. [Probes] go through the broker and come back.
package reception
