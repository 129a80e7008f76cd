package machine

import (
	"io"
	"sync"
)

// uart is as much of a 16550 as Linux needs to print by polling: for diagnosis.
type uart struct {
	out io.Writer
	mu  sync.Mutex
	reg [8]byte
}

// Registers.
const (
	uartData      = 0
	uartInterrupt = 2
	uartLine      = 3 // bit 7 shows the divisor in place of data
	uartStatus    = 5
	uartModem     = 6
)

func (u *uart) access(n int, write bool, data []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	divisor := u.reg[uartLine]&0x80 != 0
	for i := range data {
		switch {
		case write && n == uartData && !divisor:
			_, _ = u.out.Write(data[i : i+1]) // a lost character is no fault of the guest's
		case write:
			u.reg[n] = data[i]
		case n == uartData && !divisor:
			data[i] = 0
		case n == uartInterrupt:
			data[i] = 1 // none pending
		case n == uartStatus:
			data[i] = 0x60 // ready to send
		case n == uartModem:
			data[i] = 0xb0
		default:
			data[i] = u.reg[n]
		}
	}
}
