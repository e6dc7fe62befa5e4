package netconn

import "net/http"

// Direct reports whether a request is served by a front.
func Direct(w http.ResponseWriter) bool { return answerOf(w) != nil }
