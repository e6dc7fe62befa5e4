// Package testserver runs the servers that tests need: real ones, each a process on a free loopback port, gone with the test,
// and stoppable for fault tests. What there is of each kind is in testredis, testpostgres and testmongo.
package testserver
