package front

import "net/http"

// Direct reports whether a request is served by a front.
func Direct(w http.ResponseWriter) bool {
	for {
		if _, ok := w.(*answer); ok {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
}
