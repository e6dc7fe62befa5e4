// Package jsonbson turns JSON with binary attachments into BSON and back, straight from bytes to bytes.
//
// On the JSON side a binary value is Socket.IO's placeholder {"_placeholder":true,"num":i} for attachment i; on the BSON
// side it is a Binary. Numbers mean what they mean to JavaScript: a whole one that fits is an int32, any other a double.
// Of the types that a program may have put into a document, such as dates and ObjectIds, JSON gets what JSON.stringify
// makes of them.
//
// The errors are those of package jsonpack.
package jsonbson
