// Package process starts the server under test and reads what it costs: processor time and resident memory.
package process
