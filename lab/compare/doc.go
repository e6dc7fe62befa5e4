// Command compare measures Peal, other push servers and the floor under the same load, in one run, and writes
// bench/RESULTS.md. Each measurement is made several times, the servers taking turns; the median is reported.
//
//	go run ./lab/compare --centrifugo ~/bin/centrifugo --mercure ~/bin/mercure
//
// The two programs are those that their projects publish. Centrifugo's is also what go install
// github.com/centrifugal/centrifugo/v6@v6.9.1 builds, though that does not know its version; go install refuses Mercure,
// whose go.mod has a replace directive. The command starts them itself, on the loopback interface; without one of the flags
// that server is left out.
//
// Two sections of the page are of whole clusters, for which the command starts a Redis of their own (--redis-server) and
// three nodes of each kind: nodes, what a message from one node to members on another costs, and hop, what it costs that a
// client's requests reach a node that has not got its session. Each can be made anew alone, in five minutes and in one;
// what a run does not measure of the page's sections stays as it was:
//
//	go run ./lab/compare --measure nodes,hop --centrifugo ~/bin/centrifugo
package main
