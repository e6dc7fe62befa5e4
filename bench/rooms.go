package bench

import "strconv"

func roomName(topic int) string { return "room-" + strconv.Itoa(topic) }

// stride returns a step that visits n rooms in an order that is not theirs, each once.
func stride(n int) int {
	for s := n*618/1000 + 1; ; s++ {
		if gcd(s, n) == 1 {
			return s
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
