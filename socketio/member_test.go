package socketio_test

import (
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// The adapter shows a socket to those who ask it for members, and nothing else passes for one.
func TestSocketOf(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	_, s := r.socket()
	if got := socketio.SocketOf(r.io.Adapter().Member(s.ID())); got != s {
		t.Errorf("the member is %v, not the socket", got)
	}
	if got := socketio.SocketOf(r.io.Adapter().Member("nobody")); got != nil {
		t.Errorf("nobody is %v", got)
	}
}
