package socketio

import (
	"encoding/json"
	"net"
	"strings"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
)

var _ adapter.Snapshotter = (*member)(nil)

// snapshot is what fetchSockets() on a Node.js node of the cluster shows of a socket of this one.
type snapshot struct {
	ID        string            `json:"id"`
	Handshake handshakeSnapshot `json:"handshake"`
	Rooms     []roomName        `json:"rooms"`
	Data      json.RawMessage   `json:"data"`
}

type handshakeSnapshot struct {
	Headers map[string]texts `json:"headers"`
	Time    string           `json:"time"`
	Address string           `json:"address"`
	XDomain bool             `json:"xdomain"`
	Secure  bool             `json:"secure"`
	Issued  float64          `json:"issued"`
	URL     string           `json:"url"`
	Query   map[string]texts `json:"query"`
	Auth    json.RawMessage  `json:"auth"`
}

// jsDate is how a JavaScript Date prints itself.
const jsDate = "Mon Jan 02 2006 15:04:05 GMT-0700 (Coordinated Universal Time)"

// Snapshot implements [adapter.Snapshotter]. What [Socket.Set] keeps is shown as far as JSON can
// express it.
func (m *member) Snapshot() ([]byte, error) {
	return json.Marshal((*Socket)(m).snapshot())
}

func (s *Socket) snapshot() *snapshot {
	snap := &snapshot{
		ID:        s.id,
		Handshake: snapshotHandshake(s.Handshake()),
		Rooms:     []roomName{roomName(s.id)},
	}
	for _, room := range s.Rooms() {
		snap.Rooms = append(snap.Rooms, roomName(room))
	}
	snap.Handshake.Auth = json.RawMessage("{}")
	if x := s.extra.Load(); x != nil {
		if x.auth != nil {
			snap.Handshake.Auth = x.auth
		}
	}
	snap.Data = dataOf(s.kept())
	return snap
}

func snapshotHandshake(h *engineio.Handshake) handshakeSnapshot {
	out := handshakeSnapshot{
		Headers: make(map[string]texts), Query: make(map[string]texts), Time: h.Time().UTC().Format(jsDate),
		Address: h.RemoteAddr(), XDomain: h.XDomain(), Secure: h.Secure(), Issued: float64(h.Time().UnixMilli()), URL: h.URL(),
	}
	if host, _, err := net.SplitHostPort(out.Address); err == nil {
		out.Address = host
	}
	for name, values := range h.Header() {
		out.Headers[strings.ToLower(name)] = texts{strings.Join(values, ", ")}
	}
	for name, values := range h.Query() {
		out.Query[name] = texts{values[len(values)-1]}
	}
	return out
}
