// Package chaos plays faults against nodes that publish all the time, and counts what that costs: what was lost, came twice
// or out of order, and how long it took until everything arrived again. A wire and what its nodes meet at are parameters.
package chaos
