// Package message is what travels from publishers to members: an event as JSON, with its binary arguments beside it, and
// who is meant. It knows no protocol. Every protocol has a [Format], which makes its bytes of a message once; [Parse] is
// the one way in for events that others wrote.
package message
