// Package redisx is how Peal connects to Redis; no other package imports the client library.
//
// A [Client] publishes over one connection, so that what is published in order arrives in order, and never repeats a
// publish whose fate it does not know. A [Subscriber] holds one more connection for everything subscribed to, makes it
// anew when it is lost and then subscribes to everything again. What is published in between is not received.
package redisx
