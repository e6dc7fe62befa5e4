// Package eioproto is the codec of the Engine.IO protocol, revision 4: packets, the payloads of HTTP long-polling
// and their JSONP form. It takes and returns bytes; it does no I/O and starts no goroutine.
//
// A packet is a type and data. As text it is one ASCII digit followed by the data; a binary packet is always a
// message and, where only text can travel, is the letter b followed by the data in base64. A polling payload is
// packets joined by the record separator 0x1e.
//
// Source: Engine.IO protocol v4, sections "Packet encoding" and "HTTP long-polling".
package eioproto
