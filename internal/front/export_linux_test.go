package front

import (
	"net/http"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AddrPort reads an IPv6 address with a scope, of which a machine may have none.
func AddrPort(addr [16]byte, port uint16, scope uint32) string {
	var a unix.RawSockaddrAny
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a))
	in.Family, in.Addr, in.Scope_id = unix.AF_INET6, addr, scope
	*(*[2]byte)(unsafe.Pointer(&in.Port)) = [2]byte{byte(port >> 8), byte(port)}
	return addrPort(&a).String()
}

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
