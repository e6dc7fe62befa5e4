// Package testmongo starts servers on the wire of MongoDB for tests: on a free loopback port, with data of their own that
// are gone with the test, and stoppable for fault tests. The server is SecantusDB's, which scripts/setup-tests installs:
// it has change streams, and keeps what they resume from over a restart.
package testmongo
