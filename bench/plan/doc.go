// Package plan works out how many servers a number of clients needs, and shows how: by memory, by processor time and by
// bandwidth, with what clusters need besides.
package plan
