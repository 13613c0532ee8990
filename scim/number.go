package scim

import (
	"math"
	"strconv"
	"strings"
)

// number is a whole number that servers send as 12, 12.0 or "12". Anything else
// counts as not known.
type number struct {
	value int
	known bool
}

// UnmarshalJSON reads a number or a string that holds one.
func (n *number) UnmarshalJSON(raw []byte) error {
	var written text
	_ = written.UnmarshalJSON(raw)
	value, err := strconv.ParseFloat(strings.TrimSpace(string(written)), 64)
	known := err == nil && value == math.Trunc(value) && math.Abs(value) < 1<<53
	*n = number{known: known}
	if known {
		n.value = int(value)
	}
	return nil
}
