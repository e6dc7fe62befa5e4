// Package peal is the root of the module and exports nothing. Start at package socketio for a Socket.IO server, at sse
// for event streams, at gateway for the ready-made node, and at docs/architecture.md for how they fit together.
//
// The tests beside this file hold the rules of the house: which package may import which, what must be documented and
// tested, and that the documentation tells the truth.
package peal
