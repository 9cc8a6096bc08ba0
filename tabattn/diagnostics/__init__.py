"""May this be trusted?"""
