package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/peal-dev/peal/internal/bench/swarm"
)

// The dialects of other push servers. An HTTP request publishes; but for Echo their clients only receive.
const (
	// Centrifugo is Centrifugo 4 to 6: its JSON protocol over WebSocket, or unidirectional Server-Sent Events, and its API
	// to publish. It must let anonymous clients connect and subscribe, for Echo publish. It has no event that it answers
	// by itself; what Echo measures is a client's publication to a channel without subscribers, answered with its reply.
	Centrifugo Dialect = "centrifugo"
	// Mercure is a Mercure hub: Server-Sent Events. It must let anonymous clients subscribe.
	Mercure Dialect = "mercure"
)

var dialects = []Dialect{Peal, Handlers, Floor, Centrifugo, Mercure}

// published says that messages are published by HTTP.
func (d Dialect) published() bool {
	return d == Centrifugo || d == Mercure
}

// roomed says that there is no broadcast to all, so that the clients join a room for it.
func (d Dialect) roomed() bool { return d == Peal || d.published() }

// echoes says that the server answers an event of a client by itself.
func (d Dialect) echoes() bool { return d == Handlers || d == Floor || d == Centrifugo }

// speaks reports whether clients of the dialect can use the transport.
func (d Dialect) speaks(t Transport) bool {
	switch t {
	case SSE:
		return d.roomed()
	case Polling:
		return !d.published()
	default:
		return d != Mercure
	}
}

// endpoint completes the configuration of a swarm with where and how the dialect's clients connect.
func (o *Options) endpoint(cfg *swarm.Config) {
	cfg.Transport = swarm.Transport(o.Transport)
	switch {
	case o.Dialect == Mercure:
		cfg.Path = mercurePath
	case !o.Dialect.published():
	case o.Transport == WebSocket:
		cfg.Transport, cfg.Path = swarm.Centrifuge, "/connection/websocket"
	default:
		cfg.Path = "/connection/uni_sse"
		// A server that ignored the wish to subscribe would answer without it.
		cfg.Greeting = `"subs":{"`
	}
}

const mercurePath = "/.well-known/mercure"

// membership returns what makes a client of a published dialect a member of rooms: commands, or the query of a stream.
func (o *Options) membership(rooms []string) string {
	switch {
	case o.Dialect == Mercure:
		return "topic=" + strings.Join(rooms, "&topic=")
	case o.Transport == WebSocket:
		commands := make([]string, len(rooms))
		for i, room := range rooms {
			commands[i] = fmt.Sprintf(`{"id":%d,"subscribe":{"channel":%q}}`, i+2, room) // 1 is the connect command
		}
		return strings.Join(commands, "\n")
	}
	wish := `{"subs":{"` + strings.Join(rooms, `":{},"`) + `":{}}}`
	return "cf_connect=" + strings.NewReplacer(`{`, `%7B`, `}`, `%7D`, `"`, `%22`).Replace(wish)
}

// post appends the HTTP request that publishes data to a room.
func (o *Options) post(dst []byte, host, room string, data []byte) []byte {
	if o.Dialect == Mercure {
		return appendPost(dst, host, mercurePath, "application/x-www-form-urlencoded",
			"Authorization: Bearer "+mercureToken(o.Key), fmt.Appendf(nil, "topic=%s&data=%s", room, data))
	}
	return appendPost(dst, host, "/api/publish", "application/json", "X-API-Key: "+o.Key, fmt.Appendf(nil, `{"channel":%q,"data":"%s"}`, room, data))
}

func appendPost(dst []byte, host, path, contentType, authorization string, body []byte) []byte {
	dst = fmt.Appendf(dst, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: peal-bench\r\n%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		path, host, authorization, contentType, len(body))
	return append(dst, body...)
}

// mercureToken returns a JSON Web Token (RFC 7519) that lets its holder publish to every topic of a hub with that key.
func mercureToken(key string) string {
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(`{"mercure":{"publish":["*"]}}`))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + part(mac.Sum(nil))
}

// findPublisher connects the one who publishes by HTTP.
func (r *run) findPublisher(ctx context.Context) error {
	r.publisher = swarm.New(r.loop, swarm.Config{Target: r.from.addr, Transport: swarm.HTTP})
	if err := r.publisher.Connect(ctx, 1, 1); err != nil {
		return fmt.Errorf("the publisher: %w", err)
	}
	r.sender = r.publisher.Clients()[0]
	return nil
}
