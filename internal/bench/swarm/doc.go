// Package swarm keeps thousands of clients of a push server on one event loop: Socket.IO over WebSocket or long polling,
// Centrifugo's protocol, and Server-Sent Events. The clients hold the protocol but no more; what messages mean is the
// caller's business.
package swarm
