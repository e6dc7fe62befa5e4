// Package ledger keeps account of who is in which room, what is published there and what arrives, and judges it: what was
// lost, what came twice, out of order, or to somebody for whom it was not.
//
// A client's being in a room is a stay, of which the account knows what the client knows:
//
//	Joining   it has asked to be let in: from now on messages may arrive
//	Joined    that is confirmed: what is published from now on has to arrive
//	Leaving   it has asked to be let out: what is published from now on need not arrive
//	Left      that is confirmed: from now on nothing may arrive, whenever it was published
//
// Somebody else may ask for it, a node, which confirms nothing. What that node publishes behind its own request has to arrive,
// or may not, as if the request were confirmed: one publisher's doings have one order.
//
// What a client is still waiting for when it asks to leave may arrive or not, except that what is missing before something
// that arrived is lost: the messages of one publisher for one room have one order. So that this hides no loss, most who leave
// should be [Ledger.Settled].
package ledger
