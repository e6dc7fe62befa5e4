package gateway

import (
	"cmp"
	"io"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio"
)

// maxListed is how many rooms or members one answer lists: it is for people to read.
const maxListed = 100

// roomsReply is the body of GET /v1/rooms: the rooms of this node, those with the most members first.
type roomsReply struct {
	Namespace string     `json:"namespace"`
	Total     int        `json:"total"` // how many there are, listed or not
	Rooms     []roomInfo `json:"rooms"`
}

type roomInfo struct {
	Room    string `json:"room"`
	Members int    `json:"members"` // sockets and streams of this node
}

// membersReply is the body of GET /v1/members: the members of a room, or of all, on this node.
type membersReply struct {
	Namespace string       `json:"namespace"`
	Total     int          `json:"total"`
	Members   []memberInfo `json:"members"`
}

type memberInfo struct {
	ID        string   `json:"id"`
	Kind      string   `json:"kind"`                // "socket" or "stream"
	Transport string   `json:"transport,omitempty"` // of a socket: "websocket" or "polling"
	Address   string   `json:"address,omitempty"`   // of a socket
	Rooms     []string `json:"rooms"`
}

// disconnection is the body of POST /v1/disconnect.
type disconnection struct {
	Namespace string `json:"namespace"`
	Member    string `json:"member"`
}

// asOperator lets those in who may know and do everything: backends, and everybody in --dev.
func (s *Server) asOperator(next func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.access.dev {
			if err := s.access.backend(r); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		if err := next(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// named returns the adapter of the namespace that a request names, or that of "/".
func (s *Server) named(name string) (*adapter.Adapter, error) {
	return s.namespace(cmp.Or(name, "/"))
}

// rooms is GET /v1/rooms.
func (s *Server) rooms(w http.ResponseWriter, r *http.Request) error {
	a, err := s.named(r.URL.Query().Get("namespace"))
	if err != nil {
		return err
	}
	names := a.Rooms()
	reply := roomsReply{Namespace: a.Namespace(), Total: len(names), Rooms: make([]roomInfo, 0, len(names))}
	for _, name := range names {
		reply.Rooms = append(reply.Rooms, roomInfo{name, a.RoomLen(name)})
	}
	slices.SortFunc(reply.Rooms, func(x, y roomInfo) int {
		return cmp.Or(cmp.Compare(y.Members, x.Members), cmp.Compare(x.Room, y.Room))
	})
	reply.Rooms = reply.Rooms[:min(len(reply.Rooms), maxListed)]
	respond(w, http.StatusOK, reply)
	return nil
}

// members is GET /v1/members.
func (s *Server) members(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	a, err := s.named(query.Get("namespace"))
	if err != nil {
		return err
	}
	rooms := unique(query["room"])
	if err := checkRooms(rooms, s.cfg.MaxRooms); err != nil {
		return err
	}
	reply := membersReply{Namespace: a.Namespace(), Members: []memberInfo{}}
	a.Each(message.Target{Rooms: rooms}, func(m adapter.Member) bool {
		if reply.Total++; reply.Total <= maxListed {
			reply.Members = append(reply.Members, infoOf(a, m))
		}
		return true
	})
	respond(w, http.StatusOK, reply)
	return nil
}

func infoOf(a *adapter.Adapter, m adapter.Member) memberInfo {
	info := memberInfo{ID: m.ID(), Kind: "stream", Rooms: a.RoomsOf(m.ID())}
	if socket := socketio.SocketOf(m); socket != nil {
		info.Kind, info.Transport, info.Address = "socket", socket.Transport(), socket.Handshake().RemoteAddr()
	}
	if info.Rooms == nil {
		info.Rooms = []string{} // it has left meanwhile
	}
	slices.Sort(info.Rooms)
	return info
}

// disconnect is POST /v1/disconnect. A member of another node is disconnected by that.
func (s *Server) disconnect(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxBody)))
	if err != nil {
		return bodyError(err, s.cfg.MaxBody)
	}
	var d disconnection
	if err := json.Unmarshal(body, &d, json.RejectUnknownMembers(true)); err != nil || d.Member == "" {
		return &apiError{CodeInvalidRequest, `the request must be an object such as {"namespace":"/","member":"ID OF A SOCKET OR STREAM"}`}
	}
	if err := checkRooms([]string{d.Member}, 1); err != nil {
		return err
	}
	a, err := s.named(d.Namespace)
	if err != nil {
		return err
	}
	if m := a.Member(d.Member); m != nil {
		m.Disconnect(true)
	} else if err := a.Disconnect(r.Context(), message.Target{Rooms: []string{d.Member}}, true); err != nil {
		return &apiError{CodeClusterUnavailable, "there is no such member on this node, and the cluster is away"}
	}
	respond(w, http.StatusOK, okReply{OK: true})
	return nil
}
