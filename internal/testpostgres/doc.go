// Package testpostgres starts real PostgreSQL servers for tests: on a free loopback port and a Unix socket, with a data
// directory of their own that is gone with the test, and stoppable for fault tests.
package testpostgres
