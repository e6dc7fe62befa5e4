// Command compare measures Peal, other push servers and the floor under the same load, in one run, and writes
// bench/RESULTS.md. Each measurement is made several times, the servers taking turns; the median is reported.
//
//	go run ./bench/compare
package main
