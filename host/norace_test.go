//go:build !race || long

package host_test

const isRaced = false
