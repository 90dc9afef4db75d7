"""What a person sees. Widgets show and ask; what they decide is asked of plain classes."""
