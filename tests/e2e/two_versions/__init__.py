"""What is done with the chapter's two versions: batch jobs, promotion and roll-back."""
