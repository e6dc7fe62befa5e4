// Command curves measures how Peal's cost grows with the number of connections, rooms and nodes and with the size of a
// message. It fits a power of the variable to each cost and fails if one grows faster than linearly. It writes
// bench/CURVES.md and the pictures in bench/curves.
//
//	go run ./lab/curves
package main
