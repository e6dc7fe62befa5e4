// Package nodecluster is what the drivers that speak package nodewire's messages share: a [Hub] is the larger part of an
// [adapter.Driver], a [Link] is an [adapter.Link] and [adapter.Caller]. What differs is how messages travel: each link has
// a [Transport] of the driver's, which sends what it is given and hands what comes to [Link.Receive].
//
// It does what Node.js nodes do: it answers their questions, counts their answers, and by heartbeats knows who is there
// (ClusterAdapterWithHeartbeat), unless the transport is a [Counter] (ClusterAdapter). Beyond that it keeps messages in
// order, bounds what waits, tells of gaps, and knows by name whose answer is missing, as soon as a node has left.
package nodecluster
