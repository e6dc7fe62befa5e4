// Package adaptertest holds what tests of adapters and drivers need: [Run], the conformance suite every driver must pass,
// and [Cluster], a cluster in memory with a fault switch.
package adaptertest
