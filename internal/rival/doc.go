// Package rival tells dead connections from slow ones. A connection is dead if what is sent on it gets lost, or if its server
// has forgotten it, and neither end is told: it stands, and nothing comes. To wait longer for an answer is right with a server
// that hangs or on a long way, and in vain with these, so time alone does not tell.
//
// A connection on which nothing comes that should is compared with a rival, which is made to the same server at that moment.
// If the rival is answered and still nothing has come on the first a moment later, the first is dead, and closed. A server that
// hangs answers no rival. On a long way the answer that is waited for is ahead of the rival's, which needs a connection first. While a
// backlog comes in, something comes.
package rival
