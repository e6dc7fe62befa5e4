package socketio_test

import (
	"strings"
	"testing"

	"github.com/peal-dev/peal/socketio"
)

// TestBadInput is the bad-input matrix. Each case runs on a connection that has joined the root namespace.
func TestBadInput(t *testing.T) {
	t.Parallel()
	const binary = "\x00" // marks a binary message
	placeholder := func(num string) string { return `451-["echo",{"_placeholder":true,"num":` + num + `}]` }
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	tests := []struct {
		name   string
		send   []string
		closed bool
		want   []string // answers before the probe's, of a connection that lives on
	}{
		{"empty packet", []string{`4`}, true, nil},
		{"unknown type 9", []string{`49`}, true, nil},
		{"unknown type 7", []string{`47`}, true, nil},
		{"event is an object", []string{`42{}`}, true, nil},
		{"event without a name", []string{`42[]`}, true, nil},
		{"event named null", []string{`42[null]`}, true, nil},
		{"event cut off", []string{`42["a"`}, true, nil},
		{"event too deep", []string{`42["echo",` + deep + `]`}, true, nil},
		{"event named connect", []string{`42["connect"]`}, true, nil},
		{"event named connect_error", []string{`42["connect_error"]`}, true, nil},
		{"event named disconnect", []string{`42["disconnect"]`}, true, nil},
		{"event named disconnecting", []string{`42["disconnecting"]`}, true, nil},
		{"event named newListener", []string{`42["newListener"]`}, true, nil},
		{"event named removeListener", []string{`42["removeListener"]`}, true, nil},
		{"event without payload", []string{`42`}, true, nil},
		{"event with an id and no payload", []string{`427`}, true, nil},
		{"event nobody handles", []string{`42["nobody",1]`, `425["nobody"]`}, false, nil},
		{"event with a number for a name", []string{`427[5,6]`}, false, []string{`437["five",6]`}},
		{"event called error", []string{`42["error"]`}, false, nil},
		{"id out of range", []string{`429007199254740992["echo"]`}, true, nil},
		{"id of spaces", []string{`42 1["echo"]`}, true, nil},
		{"ack is an object", []string{`430{}`}, true, nil},
		{"ack nobody waits for", []string{`430`, `4399["a"]`, `43[]`}, false, nil},
		{"second CONNECT", []string{`40`}, true, nil},
		{"namespace not joined", []string{`42/other,["echo"]`}, true, nil},
		{"unknown namespace not joined", []string{`42/nope,["echo"]`}, true, nil},
		{"CONNECT_ERROR", []string{`44{"message":"x"}`}, true, nil},
		{"DISCONNECT with payload", []string{`41{}`}, true, nil},
		{"event after DISCONNECT", []string{`41`, `42["echo"]`}, true, nil},
		{"CONNECT again after DISCONNECT", []string{`41`, `40`}, false, []string{"40"}},
		{"CONNECT to an unknown namespace", []string{`40/nope,`}, false, []string{`44/nope,{"message":"Invalid namespace"}`}},
		{"CONNECT to an unknown namespace with a query", []string{`40/other?x=1,`}, false, []string{`44/other?x=1,{"message":"Invalid namespace"}`}},
		{"CONNECT with an array", []string{`40/other,[]`}, true, nil},
		{"CONNECT with a string", []string{`40/other,"x"`}, true, nil},
		{"CONNECT without a comma", []string{`40/other`}, false, []string{"40/other,"}},
		{"no attachments announced", []string{`450-["echo"]`}, true, nil},
		{"attachments of nothing", []string{`45-1-["echo"]`}, true, nil},
		{"attachments without a dash", []string{`451["a"]`}, true, nil},
		{"attachments 1.5", []string{`451.5-["a"]`}, true, nil},
		{"too many attachments", []string{`4511-["a"]`}, true, nil},
		{"binary out of the blue", []string{binary}, true, nil},
		{"text instead of an attachment", []string{`451-["echo"]`, `42["echo"]`}, true, nil},
		{"placeholder out of range", []string{placeholder("1"), binary}, true, nil},
		{"placeholder below 0", []string{placeholder("-1"), binary}, true, nil},
		{"placeholder with a string", []string{placeholder(`"0"`), binary}, true, nil},
		{"placeholder with a fraction", []string{placeholder("0.5"), binary}, true, nil},
		{"placeholder for a name", []string{`451-[{"_placeholder":true,"num":0},1]`, binary}, true, nil},
		{"placeholder without binary", []string{`427["echo",{"_placeholder":true,"num":0}]`}, false, []string{`437[{"_placeholder":true,"num":0}]`}},
		{"attachment that is not used", []string{`451-7["echo",1]`, binary}, true, nil},
		{"attachment that is used twice", []string{`451-7["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, binary}, true, nil},
		{"more than a placeholder", []string{`451-7["echo",{"_placeholder":true,"num":0,"x":1}]`, binary}, true, nil},
		{"half an emoji", []string{`427["echo","\ud83d"]`}, false, []string{"437[\"\uFFFD\"]"}},
		{"keys of a prototype", []string{`427["echo",{"__proto__":{"a":1}}]`}, false, []string{`437[{"__proto__":{"a":1}}]`}},
	}
	r := newRig(t, nil, func(io *socketio.Server) {
		io.Of("/other")
		io.On("echo", func(v any) any { return v })
		io.On("5", func(v any) (string, any) { return "five", v })
	})
	witness, _ := r.join()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := (&rig{t: t, io: r.io, http: r.http}).join()
			for _, text := range tt.send {
				if text == binary {
					p.sendBinary(1)
				} else if p.conn.Write(p.ctx, 1, []byte(text)) != nil {
					break // closed already
				}
			}
			if tt.closed {
				p.wantClosed()
			} else {
				for _, want := range tt.want {
					if got := p.read(); !strings.HasPrefix(got, want) {
						t.Fatalf("got %q, want %q", got, want)
					}
				}
				p.send(`421["echo","alive"]`)
				p.want(`431["alive"]`)
			}
			witness.send(`421["echo","served"]`)
			witness.want(`431["served"]`)
		})
	}
	if st := r.io.Stats(); st.ProtocolErrors == 0 || st.HandlerPanics != 0 {
		t.Errorf("stats %+v", st)
	}
}
