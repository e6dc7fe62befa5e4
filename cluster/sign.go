package cluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

const (
	// forwardedHeader is on a request that a peer passes on: the signature, a space and the client's address.
	forwardedHeader = "Peal-Forwarded"
	// nodeHeader is on the answer to one, and names who answered: what has taken a dead node's address would not know it.
	nodeHeader = "Peal-Node"

	keySize = 32
)

// sign returns the signature of a request, for whoever has that key. Peers are told it by the driver, where clients
// cannot read.
func sign(key []byte, r *http.Request, remote string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{r.Method, r.Host, r.RequestURI, remote} {
		_, _ = mac.Write([]byte(part)) // never fails
		_, _ = mac.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// forwardedMark is in the context of a request that a peer has passed on.
type forwardedMark struct{}

func isForwarded(r *http.Request) bool { return r.Context().Value(forwardedMark{}) != nil }

// PeerHandler is [Node.Handler] for an address that peers alone are to use: what they have not passed on is refused, too.
func (n *Node) PeerHandler(next http.Handler) http.Handler {
	forwarded := n.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header[forwardedHeader]) == 0 {
			n.refuse(w, "this address is for nodes of the cluster")
			return
		}
		forwarded.ServeHTTP(w, r)
	})
}

// refuse answers what is not of a peer and should be.
func (n *Node) refuse(w http.ResponseWriter, why string) {
	n.forged.Add(1)
	w.Header().Set("Connection", "close")
	http.Error(w, why, http.StatusForbidden)
}

// Handler lets peers pass requests on to next, which serves the sessions of this node: next sees the client's address as
// RemoteAddr. What says to be of a peer and is not is refused with 403 Forbidden. Requests of clients are passed to next as
// they are.
func (n *Node) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forwarded := r.Header[forwardedHeader]
		if len(forwarded) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		signature, remote, ok := strings.Cut(forwarded[0], " ")
		if !ok || len(forwarded) > 1 || !hmac.Equal([]byte(signature), []byte(sign(n.key, r, remote))) {
			n.refuse(w, forwardedHeader+" is for nodes of this cluster")
			return
		}
		n.received.Add(1)
		r = r.WithContext(context.WithValue(r.Context(), forwardedMark{}, true))
		r.RemoteAddr = remote
		r.Header = r.Header.Clone()
		r.Header.Del(forwardedHeader)
		w.Header().Set(nodeHeader, n.id)
		next.ServeHTTP(w, r)
	})
}
