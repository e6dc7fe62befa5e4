package netconn

// Core says which of a Loop's pollers drives c.
func (c *Conn) Core() int { return int(c.core) }
