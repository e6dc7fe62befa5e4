// Command compare measures Peal, other push servers and the floor under the same load, in one run, and writes
// bench/RESULTS.md. Each measurement is made several times, the servers taking turns; the median is reported.
//
//	go run ./lab/compare --centrifugo ~/bin/centrifugo --mercure ~/bin/mercure
//
// The two programs are those that their projects publish. Centrifugo's is also what go install
// github.com/centrifugal/centrifugo/v6@v6.9.1 builds, though that does not know its version; go install refuses Mercure,
// whose go.mod has a replace directive. The command starts them itself, on the loopback interface; without one of the flags
// that server is left out.
package main
