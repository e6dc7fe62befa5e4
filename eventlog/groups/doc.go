// Package groups shares the items of a topic among consumers: each item goes to one of a group, and to another one if that does
// not acknowledge it within its lease. It works over any [eventlog.Store], on one node or on several that share the store.
//
// A group is a topic of its own, of claims and acknowledgements. Each is appended with the number of what its consumer has
// read, as a producer's next, so that the store takes one of two who claim the same at once, and the other one looks again.
// What was acknowledged stays so over restarts and crashes; what was not comes again: at least once.
//
// Leases end by the clock of who looks: the clocks of consumers on several machines have to agree to within a fraction of a
// lease.
package groups
