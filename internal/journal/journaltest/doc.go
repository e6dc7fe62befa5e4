// Package journaltest has a disk for tests: it is in memory, it can lose power, and it fails when it is told to.
package journaltest
