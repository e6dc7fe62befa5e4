// Package testredis starts real Redis servers for tests, alone, with sentinels or as a cluster: on free loopback ports,
// without persistence, gone with the test, and stoppable for fault tests.
package testredis
