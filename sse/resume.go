package sse

import (
	"errors"
	"net/http"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/message"
)

// ResetEvent is the event that tells a client which came back that something it missed is not there any more. What the page
// shows may be out of date.
const ResetEvent = "peal:reset"

// enter puts the stream into its rooms and returns what it begins with. If the adapter has a log, a client that says with
// Last-Event-ID what it had last is given what it missed, or else told that it was not; and one that is new is told where
// it stands, so that it can say so when it has never received an event.
func (h *Handler) enter(r *http.Request, s *stream, sub Subscription) (begin []byte) {
	a := sub.Adapter
	if !a.Logged() {
		// If the cluster is away the stream is no worse off than those that are there, and hears other nodes when they do.
		_, _ = a.Add(r.Context(), s, sub.Rooms...)
		return nil
	}
	said := r.Header.Get("Last-Event-ID")
	if after, ok := message.ParseOffset(said); ok && h.resume(r, s, sub, after) {
		h.resumed.Add(1)
		return nil
	}
	if said != "" {
		h.reset.Add(1)
		begin = append(begin, "event: "+ResetEvent+"\ndata: []\n\n"...)
	}
	for {
		if top := a.Bounds().Top; h.resume(r, s, sub, top) {
			return append(begin, idLine(top)...)
		} // trimmed meanwhile: the top has moved on
	}
}

// resume puts the stream into its rooms with all that came behind after, or reports that this is not there or too much.
func (h *Handler) resume(r *http.Request, s *stream, sub Subscription, after message.Offset) bool {
	rooms := make([]adapter.Membership, len(sub.Rooms))
	for i, room := range sub.Rooms {
		rooms[i].Room = room
	}
	_, err := sub.Adapter.Resume(r.Context(), s, adapter.Resumption{Rooms: rooms, After: after, MaxBytes: h.opts.SendBuffer / 4 * 3})
	var old *eventlog.OffsetError
	var much *adapter.MissedError
	return !errors.As(err, &old) && !errors.As(err, &much)
}

// idLine tells a client where it stands: its browser keeps it for Last-Event-ID, and no event fires (WHATWG HTML, section
// 9.2.6).
func idLine(at message.Offset) []byte {
	return append(at.Append([]byte("id: ")), "\n\n"...)
}
