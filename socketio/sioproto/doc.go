// Package sioproto is the Socket.IO protocol, revision 5: packets, their JSON payloads and their binary attachments.
//
// The package is pure: it takes and returns slices, does no I/O and starts no goroutines. It knows nothing of
// Engine.IO; the text packets it makes and takes carry no Engine.IO prefix.
//
// A packet on the wire is
//
//	<type>[<attachments>-][<namespace>,][<id>][<json>]
//
// and, when it has attachments, that many binary messages right behind it. A []byte anywhere in the arguments of an
// event travels as such an attachment; the JSON holds {"_placeholder":true,"num":0} in its place. [MarshalArgs] and
// [Unmarshal] hide this from their callers.
//
// The decoder is stricter than the one in JavaScript wherever that one is lenient by accident of its language: ids
// and counts are made of digits only, and what a packet may make the receiver hold in memory has a limit.
package sioproto
