// Package jsonpack turns JSON with binary attachments into MessagePack and back, straight from bytes to bytes.
//
// On the JSON side a binary value is Socket.IO's placeholder {"_placeholder":true,"num":i} for attachment i; on the
// MessagePack side it is a bin. Numbers mean what they mean to JavaScript: a number without a fraction that a double
// holds exactly is an integer, any other is a double.
//
// Written is the dialect of notepack 3 (nil, minimal integers, float64, str, bin, array, map). Read are, beyond that, the
// dialects of @msgpack/msgpack and notepack 2: timestamps, undefined, dates and ArrayBuffers in extensions -1 and 0.
package jsonpack
