// Package bench measures a push server under load: what an idle connection costs in memory, what a delivered message and
// an event cost in processor time, how long messages take, and whether any is lost, repeated or misdirected.
//
// The clients are driven by one goroutine on Linux's epoll, so that thousands of them leave the machine to the server.
// Costs are those of the server's process alone, as the kernel accounts for them; the clients' share is reported beside
// them. By default only servers on the loopback interface are accepted.
package bench
