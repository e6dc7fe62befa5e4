// Package testredis starts real Redis servers for tests: on a free loopback port, without persistence, gone with the
// test, and stoppable for fault tests.
package testredis
