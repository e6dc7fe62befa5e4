// Command durable measures what a durable append costs when many wait for it: with Peal's journal, with engines that could
// carry it instead, and with the least that the disk allows, which is one write into a preallocated file and one fsync for
// all who wait. It is a module of its own, outside go.work, so that nobody builds these engines who does not compare them:
//
//	cd lab/durable && GOWORK=off go run . -rounds 5
//
// Rounds alternate between the engines, and the figures are medians: a disk's speed changes from one minute to the next.
package main
