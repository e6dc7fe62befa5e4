// Package ledger is what a topic is, wherever its items lie: who may append what, which offsets that gets, what is kept and
// what is trimmed. It does no I/O. Stores hold it to the order in which they write.
//
// An append has two steps: Begin decides, with all that has begun before it, and Commit shows it to readers; or Undo takes it
// back, which goes in the opposite order.
package ledger
