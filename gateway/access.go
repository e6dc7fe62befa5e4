package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// access says who may do what.
type access struct {
	key                [sha256.Size]byte // of the API key: digests compare in constant time whatever the lengths
	hasKey, dev        bool
	subscribe, publish bool // without a token
}

// grant is what one client may do.
type grant struct{ subscribe, publish, byKey bool }

func newAccess(c *Config) access {
	return access{key: sha256.Sum256([]byte(c.APIKey)), hasKey: c.APIKey != "", dev: c.Dev,
		subscribe: c.Dev || c.AnonymousSubscribe, publish: c.Dev || c.AnonymousPublish}
}

// client returns what a client with that token may do; "" is none. A wrong token is an error even where none is needed:
// whoever sends one expects it to count.
func (a *access) client(token string) (grant, error) {
	switch {
	case token == "":
		return grant{subscribe: a.subscribe, publish: a.publish}, nil
	case a.hasKey:
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], a.key[:]) == 1 {
			return grant{subscribe: true, publish: true, byKey: true}, nil
		}
		return grant{}, &apiError{CodeInvalidToken, "the token is not this server's API key"}
	case a.dev:
		return grant{subscribe: true, publish: true}, nil
	}
	return grant{}, &apiError{CodeInvalidToken, "this server has no API key; start it with --api-key, or connect without a token"}
}

// backend decides whether an HTTP request may use the API of backends, for which anonymous clients' rights do not count.
func (a *access) backend(r *http.Request) error {
	token := bearer(r)
	if token == "" && a.dev && !a.hasKey {
		return nil
	}
	if token == "" {
		return &apiError{CodeTokenRequired, "send the server's API key as Authorization: Bearer KEY"}
	}
	_, err := a.client(token)
	return err
}

// needSubscribe returns the refusal for a client that may not subscribe.
func (g grant) needSubscribe() error {
	if g.subscribe {
		return nil
	}
	return &apiError{CodeTokenRequired, "this server lets only clients with its API key subscribe: send it as auth {token: KEY} " +
		"(Socket.IO) or Authorization: Bearer KEY (SSE), or start the server with --anonymous-subscribe"}
}

// needPublish returns the refusal for a client that may not publish.
func (g grant) needPublish() error {
	if g.publish {
		return nil
	}
	return &apiError{CodeTokenRequired, "this server lets only clients with its API key publish: send it as auth {token: KEY}, " +
		"or start the server with --anonymous-publish"}
}

// bearer returns the token of the Authorization header, or "". Other schemes are for a proxy in front.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
