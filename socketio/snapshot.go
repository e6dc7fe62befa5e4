package socketio

import (
	"encoding/json"
	"net"
	"strings"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/engineio"
)

var _ adapter.Snapshotter = (*Socket)(nil)

// snapshot is what fetchSockets() on a Node.js node of the cluster shows of a socket of this one.
type snapshot struct {
	ID        string                     `json:"id"`
	Handshake handshakeSnapshot          `json:"handshake"`
	Rooms     []string                   `json:"rooms"`
	Data      map[string]json.RawMessage `json:"data"`
}

type handshakeSnapshot struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"`
	URL     string            `json:"url"`
	Query   map[string]string `json:"query"`
	Auth    json.RawMessage   `json:"auth"`
}

// jsDate is how a JavaScript Date prints itself.
const jsDate = "Mon Jan 02 2006 15:04:05 GMT-0700 (Coordinated Universal Time)"

// Snapshot implements [adapter.Snapshotter]; it is not for users. What [Socket.Set] keeps is shown as far as JSON can
// express it.
func (s *Socket) Snapshot() ([]byte, error) {
	snap := snapshot{
		ID:        s.id,
		Handshake: snapshotHandshake(s.Handshake()),
		Rooms:     append([]string{s.id}, s.Rooms()...),
		Data:      make(map[string]json.RawMessage),
	}
	snap.Handshake.Auth = json.RawMessage("{}")
	if x := s.extra.Load(); x != nil {
		if x.auth != nil {
			snap.Handshake.Auth = x.auth
		}
		s.mu.Lock()
		data := append([]datum(nil), x.data...)
		s.mu.Unlock()
		for _, d := range data {
			if raw, err := json.Marshal(d.value); err == nil {
				snap.Data[d.key] = raw
			}
		}
	}
	return json.Marshal(snap)
}

func snapshotHandshake(h *engineio.Handshake) handshakeSnapshot {
	out := handshakeSnapshot{
		Headers: make(map[string]string), Query: make(map[string]string), Time: h.Time().UTC().Format(jsDate),
		Address: h.RemoteAddr(), XDomain: h.XDomain(), Secure: h.Secure(), Issued: h.Time().UnixMilli(), URL: h.URL(),
	}
	if host, _, err := net.SplitHostPort(out.Address); err == nil {
		out.Address = host
	}
	for name, values := range h.Header() {
		out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for name, values := range h.Query() {
		out.Query[name] = values[len(values)-1]
	}
	return out
}
