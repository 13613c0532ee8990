package baseline

// Recorded returns the SHA-256 of the baseline's file in hexadecimal, without opening it as
// a sync file, and what is known of it. The sum is "" where there is no file.
func (s *Store) Recorded() (sum string, known Sync) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.recorded()
}
