"""Rules as their authors handle them: files, and the topic that the running job listens to."""
